{# Made by scripts/dbt_sources.py from schemas/ and catalog.json: `make generate`. #}
{% macro wistia_tables() %}
{{ return({
  "bridge_media_channel": {
    "source": "wistia",
    "key": [
      "media_id",
      "channel_id",
      "source"
    ],
    "by_default": False,
    "time": None,
    "columns": {
      "media_id": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "channel": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "source": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "channel_id": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "published": {
        "type": "boolean",
        "duckdb": "boolean",
        "personal": False
      }
    }
  },
  "dim_channels": {
    "source": "wistia",
    "key": [
      "id"
    ],
    "by_default": False,
    "time": None,
    "columns": {
      "id": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "hashed_id": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "name": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "description": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "media_count": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "created": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "updated": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      }
    }
  },
  "dim_deleted_media": {
    "source": "wistia",
    "key": [
      "hashed_id"
    ],
    "by_default": False,
    "time": None,
    "columns": {
      "hashed_id": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "name": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "type": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "duration": {
        "type": "double",
        "duckdb": "double",
        "personal": False
      },
      "deleted_at": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "restore_expires_at": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "folder": {
        "type": "struct<hashed_id:string,name:string>",
        "duckdb": "struct(\"hashed_id\" varchar, \"name\" varchar)",
        "personal": False
      }
    }
  },
  "dim_media": {
    "source": "wistia",
    "key": [
      "id"
    ],
    "by_default": True,
    "time": None,
    "columns": {
      "id": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "name": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "type": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "archived": {
        "type": "boolean",
        "duckdb": "boolean",
        "personal": False
      },
      "created": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "updated": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "duration": {
        "type": "double",
        "duckdb": "double",
        "personal": False
      },
      "hashed_id": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "description": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "progress": {
        "type": "double",
        "duckdb": "double",
        "personal": False
      },
      "status": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "thumbnail": {
        "type": "struct<url:string,width:bigint,height:bigint>",
        "duckdb": "struct(\"url\" varchar, \"width\" bigint, \"height\" bigint)",
        "personal": False
      },
      "section": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "project": {
        "type": "struct<id:bigint,name:string,hashed_id:string>",
        "duckdb": "struct(\"id\" bigint, \"name\" varchar, \"hashed_id\" varchar)",
        "personal": False
      },
      "assets": {
        "type": "array<struct<url:string,width:bigint,height:bigint,file_size:bigint,content_type:string,type:string>>",
        "duckdb": "struct(\"url\" varchar, \"width\" bigint, \"height\" bigint, \"file_size\" bigint, \"content_type\" varchar, \"type\" varchar)[]",
        "personal": False
      },
      "tags": {
        "type": "array<string>",
        "duckdb": "varchar[]",
        "personal": False
      },
      "subfolder": {
        "type": "struct<hashed_id:string,name:string,description:string,position:bigint,created:string,updated:string>",
        "duckdb": "struct(\"hashed_id\" varchar, \"name\" varchar, \"description\" varchar, \"position\" bigint, \"created\" varchar, \"updated\" varchar)",
        "personal": False
      },
      "deleted_at": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      }
    }
  },
  "dim_projects": {
    "source": "wistia",
    "key": [
      "id"
    ],
    "by_default": False,
    "time": None,
    "columns": {
      "id": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "hashed_id": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "name": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "description": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "media_count": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "created": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "updated": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "public": {
        "type": "boolean",
        "duckdb": "boolean",
        "personal": False
      }
    }
  },
  "dim_tags": {
    "source": "wistia",
    "key": [
      "name"
    ],
    "by_default": False,
    "time": None,
    "columns": {
      "name": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "taggings_count": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "created": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "updated": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      }
    }
  },
  "dim_visitors": {
    "source": "wistia_personal",
    "key": [
      "visitor_id"
    ],
    "by_default": True,
    "time": None,
    "columns": {
      "visitor_id": {
        "type": "string",
        "duckdb": "varchar",
        "personal": True
      },
      "ip_address": {
        "type": "string",
        "duckdb": "varchar",
        "personal": True
      },
      "country": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      }
    }
  },
  "fact_account_byday": {
    "source": "wistia",
    "key": [
      "date"
    ],
    "by_default": False,
    "time": "date",
    "columns": {
      "date": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "load_count": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "play_count": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "hours_watched": {
        "type": "double",
        "duckdb": "double",
        "personal": False
      }
    }
  },
  "fact_engagement_graph": {
    "source": "wistia",
    "key": [
      "media_id"
    ],
    "by_default": True,
    "time": None,
    "columns": {
      "media_id": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "engagement": {
        "type": "double",
        "duckdb": "double",
        "personal": False
      },
      "engagement_data": {
        "type": "array<bigint>",
        "duckdb": "bigint[]",
        "personal": False
      },
      "rewatch_data": {
        "type": "array<bigint>",
        "duckdb": "bigint[]",
        "personal": False
      }
    }
  },
  "fact_engagement_graph_points": {
    "source": "wistia",
    "key": [
      "media_id",
      "position"
    ],
    "by_default": False,
    "time": None,
    "columns": {
      "media_id": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "position": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "engagement": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "rewatch": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      }
    }
  },
  "fact_engagements": {
    "source": "wistia",
    "key": [
      "media_id",
      "date"
    ],
    "by_default": True,
    "time": "date",
    "columns": {
      "media_id": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "date": {
        "type": "date",
        "duckdb": "date",
        "personal": False
      },
      "load_count": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "play_count": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "play_rate": {
        "type": "double",
        "duckdb": "double",
        "personal": False
      },
      "hours_watched": {
        "type": "double",
        "duckdb": "double",
        "personal": False
      },
      "engagement": {
        "type": "double",
        "duckdb": "double",
        "personal": False
      },
      "visitors": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      }
    }
  },
  "fact_engagements_byday": {
    "source": "wistia",
    "key": [
      "media_id",
      "date"
    ],
    "by_default": True,
    "time": "date",
    "columns": {
      "media_id": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "date": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "load_count": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "play_count": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "hours_watched": {
        "type": "double",
        "duckdb": "double",
        "personal": False
      }
    }
  },
  "fact_events": {
    "source": "wistia_personal",
    "key": [
      "event_key"
    ],
    "by_default": True,
    "time": "received_at",
    "columns": {
      "received_at": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "event_key": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "region": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "city": {
        "type": "string",
        "duckdb": "varchar",
        "personal": True
      },
      "lat": {
        "type": "double",
        "duckdb": "double",
        "personal": True
      },
      "lon": {
        "type": "double",
        "duckdb": "double",
        "personal": True
      },
      "org": {
        "type": "string",
        "duckdb": "varchar",
        "personal": True
      },
      "email": {
        "type": "int",
        "duckdb": "integer",
        "personal": False
      },
      "percent_viewed": {
        "type": "double",
        "duckdb": "double",
        "personal": False
      },
      "embed_url": {
        "type": "string",
        "duckdb": "varchar",
        "personal": True
      },
      "conversion_type": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "iframe_heatmap_url": {
        "type": "string",
        "duckdb": "varchar",
        "personal": True
      },
      "visitor_key": {
        "type": "string",
        "duckdb": "varchar",
        "personal": True
      },
      "user_agent_details": {
        "type": "struct<browser:string,browser_version:string,platform:string,mobile:boolean>",
        "duckdb": "struct(\"browser\" varchar, \"browser_version\" varchar, \"platform\" varchar, \"mobile\" boolean)",
        "personal": False
      },
      "media_id": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "media_name": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "media_url": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "thumbnail": {
        "type": "struct<url:string,width:bigint,height:bigint,file_size:bigint,content_type:string,type:string>",
        "duckdb": "struct(\"url\" varchar, \"width\" bigint, \"height\" bigint, \"file_size\" bigint, \"content_type\" varchar, \"type\" varchar)",
        "personal": False
      },
      "country": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "is_new_lead": {
        "type": "boolean",
        "duckdb": "boolean",
        "personal": False
      }
    }
  },
  "fact_media_actions": {
    "source": "wistia",
    "key": [
      "media_id",
      "date",
      "type"
    ],
    "by_default": False,
    "time": "date",
    "columns": {
      "media_id": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "date": {
        "type": "date",
        "duckdb": "date",
        "personal": False
      },
      "type": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "impression_count": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "action_count": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "rate": {
        "type": "double",
        "duckdb": "double",
        "personal": False
      }
    }
  },
  "fact_media_timeseries": {
    "source": "wistia",
    "key": [
      "media_id",
      "date"
    ],
    "by_default": False,
    "time": "date",
    "columns": {
      "media_id": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "date": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "played_time": {
        "type": "double",
        "duckdb": "double",
        "personal": False
      },
      "plays": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "unique_plays": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "unique_loads": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "unique_visitors": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "play_rate": {
        "type": "double",
        "duckdb": "double",
        "personal": False
      },
      "engagement_rate": {
        "type": "double",
        "duckdb": "double",
        "personal": False
      },
      "cta_impressions": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "cta_conversions": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "cta_conversion_rate": {
        "type": "double",
        "duckdb": "double",
        "personal": False
      },
      "form_conversions": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      }
    }
  },
  "visitors": {
    "source": "wistia_personal",
    "key": [
      "visitor_key"
    ],
    "by_default": False,
    "time": "last_active_at",
    "columns": {
      "visitor_key": {
        "type": "string",
        "duckdb": "varchar",
        "personal": True
      },
      "created_at": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "last_active_at": {
        "type": "string",
        "duckdb": "varchar",
        "personal": False
      },
      "last_event_key": {
        "type": "string",
        "duckdb": "varchar",
        "personal": True
      },
      "load_count": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "play_count": {
        "type": "bigint",
        "duckdb": "bigint",
        "personal": False
      },
      "identifying_event_key": {
        "type": "string",
        "duckdb": "varchar",
        "personal": True
      },
      "visitor_identity": {
        "type": "struct<name:string,email:int,org:struct<name:string,title:string>>",
        "duckdb": "struct(\"name\" varchar, \"email\" integer, \"org\" struct(\"name\" varchar, \"title\" varchar))",
        "personal": True
      },
      "user_agent_details": {
        "type": "struct<browser:string,browser_version:string,platform:string,mobile:boolean>",
        "duckdb": "struct(\"browser\" varchar, \"browser_version\" varchar, \"platform\" varchar, \"mobile\" boolean)",
        "personal": False
      }
    }
  }
}) }}
{% endmacro %}
