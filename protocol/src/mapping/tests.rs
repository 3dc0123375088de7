use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn maps(maps: Value) -> Mapper {
    Mapper::new(serde_json::from_value(maps).unwrap(), None)
}

fn flat(max_depth: usize) -> Mapper {
    let flattening = Flattening { max_depth, separator: "__".into() };
    Mapper::new(StreamMaps::default(), Some(flattening))
}

fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["id", "email"],
        "properties": {
            "id": {"type": "integer"},
            "name": {"type": ["null", "string"], "description": "Who."},
            "email": {"type": "string"},
            "address": {"type": ["null", "object"], "properties": {
                "city": {"type": "string"},
                "geo": {"type": "object", "properties": {"lat": {"type": "number"}}}
            }},
            "tags": {"type": "array", "items": {"type": "string"}}
        }
    })
}

fn record() -> Value {
    json!({
        "id": 1, "name": "Ann", "email": "ann@example.com",
        "address": {"city": "Bern", "geo": {"lat": 46.9}}, "tags": ["a", "b"], "unknown": 1
    })
}

fn map(mapper: &Mapper) -> Vec<Mapped> {
    mapper.map("customers", &schema(), &["id".into()]).unwrap()
}

fn only(mapper: &Mapper) -> Mapped {
    let mut mapped = map(mapper);
    assert_eq!(mapped.len(), 1);
    mapped.remove(0)
}

fn names(mapped: &Mapped) -> Vec<&str> {
    mapped.schema["properties"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn without_settings_a_stream_stays_as_it_is() {
    let mapped = only(&Mapper::default());
    assert!(mapped.is_plain());
    assert_eq!((mapped.stream.as_str(), &mapped.schema), ("customers", &schema()));
}

#[test]
fn properties_are_renamed_dropped_copied_and_made() {
    let mapped = only(&maps(json!({"customers": {
        "__alias__": "people",
        "full_name": "name", "name": "__NULL__", "email": null, "address": "__NULL__",
        "city": "address['city']", "source": "'crm'", "tags": "self"
    }})));
    assert_eq!(mapped.stream, "people");
    assert_eq!(names(&mapped), ["id", "tags", "full_name", "city", "source"]);
    assert_eq!(mapped.schema["properties"]["full_name"]["description"], "Who.");
    assert_eq!(mapped.schema["properties"]["source"], json!({"type": "string"}));
    assert_eq!(mapped.schema["required"], json!(["id"]));
    assert_eq!(
        mapped.record(&record()),
        Some(
            json!({"id": 1, "tags": ["a", "b"], "full_name": "Ann", "city": "Bern", "source": "crm"})
        )
    );
    assert_eq!(mapped.record(&json!({"id": 2})), Some(json!({"id": 2, "source": "crm"})));
}

#[test]
fn else_keeps_what_is_named_and_the_keys() {
    let mapped = only(&maps(json!({"customers": {"email": "email", "__else__": "__NULL__"}})));
    assert_eq!(names(&mapped), ["id", "email"]);
}

#[test]
fn streams_are_dropped_kept_and_copied() {
    let mapper = maps(json!({
        "customers": {"email": null},
        "customers_pii": {"__source__": "customers", "email": "email", "__else__": null},
        "orders": "__NULL__", "tmp_*": null
    }));
    let mapped = map(&mapper);
    let streams: Vec<_> = mapped.iter().map(|mapped| (&*mapped.stream, names(mapped))).collect();
    assert_eq!(
        streams,
        [
            ("customers", vec!["id", "name", "address", "tags"]),
            ("customers_pii", vec!["id", "email"])
        ]
    );
    for dropped in ["orders", "tmp_x"] {
        assert_eq!(mapper.map(dropped, &schema(), &[]).unwrap(), []);
    }
    assert_eq!(mapper.map("others", &schema(), &[]).unwrap().len(), 1);
    let only_customers = maps(json!({"customers": {}, "__else__": null}));
    assert_eq!(only_customers.map("others", &schema(), &[]).unwrap(), []);
    assert!(only(&only_customers).is_plain());
}

#[test]
fn an_exact_name_wins_over_a_glob_whatever_the_order() {
    let mapper = maps(json!({"customers": {"email": null}, "*": null}));
    assert_eq!(map(&mapper).len(), 1);
    assert_eq!(mapper.map("orders", &schema(), &[]).unwrap(), []);
}

#[test]
fn keys_may_be_others_or_none_but_not_vanish() {
    let mapped =
        only(&maps(json!({"customers": {"id": null, "key": "id", "__key_properties__": ["key"]}})));
    assert_eq!(mapped.keys, ["key"]);
    assert!(only(&maps(json!({"customers": {"__key_properties__": null}}))).keys.is_empty());
    for (settings, key, word) in [
        (json!({"id": null}), "stream_maps.customers.id", "key of the stream"),
        (
            json!({"__key_properties__": ["x"], "name": null}),
            "stream_maps.customers.__key_properties__",
            "`x`",
        ),
        (json!({"y": "nowhere"}), "stream_maps.customers.y", "`nowhere`"),
        (
            json!({"__filter__": "address.zip == 1"}),
            "stream_maps.customers.__filter__",
            "`address.zip`",
        ),
    ] {
        let error =
            maps(json!({"customers": settings})).map("customers", &schema(), &["id".into()]);
        let error = error.unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with(&format!("the setting `{key}` is not valid: ")), "{error}");
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn nested_properties_become_columns_down_to_the_depth_and_text_below() {
    let mapped = only(&flat(1));
    assert_eq!(names(&mapped), ["id", "name", "email", "address__city", "address__geo", "tags"]);
    assert_eq!(mapped.schema["properties"]["tags"], json!({"type": ["null", "string"]}));
    assert_eq!(
        mapped.record(&record()),
        Some(json!({
            "id": 1, "name": "Ann", "email": "ann@example.com",
            "address__city": "Bern", "address__geo": r#"{"lat":46.9}"#, "tags": r#"["a","b"]"#
        }))
    );
    assert_eq!(names(&only(&flat(9)))[4], "address__geo__lat");
    assert_eq!(names(&only(&flat(0)))[3], "address");
}

#[test]
fn flattening_follows_references_and_alternatives_and_loses_nothing() {
    let schema = json!({
        "$defs": {"tree": {"type": "object", "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/tree"}}}},
        "properties": {
            "a": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"x": {"type": "integer"}}}]},
            "b": {"oneOf": [{"type": "null"}, {"type": "integer"}]},
            "c": {"$ref": "#/$defs/tree"},
            "d": {"type": ["string", "object"], "properties": {"x": {}}},
            "e": {}
        }
    });
    let mapped = flat(5).map("s", &schema, &[]).unwrap().remove(0);
    assert_eq!(names(&mapped), ["a__x", "b", "c__v", "c__next", "d", "e"]);
    assert_eq!(mapped.schema["properties"]["b"], schema["properties"]["b"]);
}

#[test]
fn flattening_ends_at_what_is_allowed_and_not_at_what_references_expand_to() {
    let many = |count: usize, schema: &Value| {
        let properties: Map<String, Value> =
            (0..count).map(|at| (format!("p{at}"), schema.clone())).collect();
        json!({"type": "object", "properties": properties})
    };
    let reference = |to: usize| json!({"$ref": format!("#/definitions/d{to}")});
    let chain = |depth: usize, count: usize, last: &Value| {
        let mut definitions = Map::new();
        for at in 0..depth {
            definitions.insert(format!("d{at}"), many(count, &reference(at + 1)));
        }
        definitions.insert(format!("d{depth}"), last.clone());
        json!({"properties": {"x": reference(0)}, "definitions": definitions})
    };
    let inside = |schema: Value| json!({"properties": {"a": schema}});
    let long = "x".repeat(1 << 20);
    for (schema, limit) in [
        (chain(20, 8, &json!({"type": "integer"})), "more than 10000 columns"),
        (chain(60, 2, &json!({"type": "integer"})), "more than 10000 columns"),
        (chain(3, 20, &json!({"anyOf": vec![json!({"type": "null"}); 5000]})), "alternatives"),
        (chain(3, 20, &json!({"type": vec!["null"; 5000]})), "alternatives"),
        (chain(1, 90, &inside(json!({"type": "string", "enum": [&long]}))), "bytes"),
        (chain(1, 90, &inside(json!({"type": "array", "description": &long}))), "bytes"),
        (chain(2, 5, &json!({"properties": {&long: {}}})), "bytes"),
    ] {
        let error = flat(usize::MAX).map("s", &schema, &[]).unwrap_err();
        assert!(matches!(error, MapError::Schema(_)), "{error}");
        assert!(error.to_string().contains(limit), "{error}");
    }
    let allowed = chain(2, 90, &json!({"type": "integer"}));
    assert_eq!(flat(9).map("s", &allowed, &[]).unwrap().remove(0).fields.unwrap().len(), 8100);
}

#[test]
fn two_columns_of_one_name_are_refused() {
    let schema = json!({"properties": {"a": {"properties": {"b": {}}}, "a__b": {}}});
    let error = flat(1).map("s", &schema, &[]).unwrap_err();
    assert!(error.to_string().contains("two columns `a__b`"), "{error}");
}

#[test]
fn filters_mean_what_they_mean_in_python() {
    let record = json!({
        "n": 5, "f": 2.5, "t": "it's", "yes": true, "nothing": null, "o": {"in": {"x": 1}}, "list": [], "day": "2026-01-02"
    });
    for (filter, passes) in [
        ("n == 5", true),
        ("5 == n", true),
        ("n != 5", false),
        ("n > 4 and n < 6", true),
        ("4 > n", false),
        ("n >= 5.0", true),
        ("f == 2.5 or n == 0", true),
        ("not n == 5", false),
        ("not (n == 5 and f > 9)", true),
        ("n in [1, 5]", true),
        ("n not in (1, 5)", false),
        ("t in ['a', \"it's\"]", true),
        ("t == 'it\\'s'", true),
        ("t != 'x'", true),
        ("nothing is None", true),
        ("nothing is not None", false),
        ("absent is None", true),
        ("nothing != 'x'", true),
        ("nothing == 'x'", false),
        ("nothing > 1", false),
        ("nothing not in ['x']", true),
        ("nothing in [None, 'x']", true),
        ("nothing == None", true),
        ("yes", true),
        ("not yes", false),
        ("yes == True", true),
        ("nothing", false),
        ("list", false),
        ("o", true),
        ("o.in.x == 1", true),
        ("o['in']['x'] == 1", true),
        ("record['n'] == 5", true),
        ("_['n'] == -5", false),
        ("bool(t)", true),
        ("bool(n > 9 or yes)", true),
        ("t.startswith('it')", true),
        ("record['t'].endswith('x')", false),
        ("'t' in t", true),
        ("'z' not in t", true),
        ("day >= '2026-01-01'", true),
        ("n == '5'", false),
        ("n == 5 and n == 6 or yes", true),
    ] {
        let mapper = maps(json!({"s": {"__filter__": filter}}));
        let schema = json!({"properties": {
            "n": {}, "f": {}, "t": {}, "yes": {}, "nothing": {}, "list": {}, "absent": {}, "day": {},
            "o": {"properties": {"in": {"properties": {"x": {}}}}}
        }});
        let mapped = mapper.map("s", &schema, &[]).unwrap().remove(0);
        assert_eq!(mapped.record(&record).is_some(), passes, "{filter}");
    }
}

#[test]
fn what_is_not_supported_is_refused_with_what_is() {
    for (settings, words) in [
        (json!({"s": {"x": "md5(email)"}}), ["`s.x`", "md5(email)", "a property may be"]),
        (json!({"s": {"x": "email.lower()"}}), ["`s.x`", "`(`", "a constant"]),
        (json!({"s": {"x": "a + b"}}), ["`s.x`", "`+`", "another property"]),
        (json!({"s": {"x": ""}}), ["`s.x`", "missing at its end", "__NULL__"]),
        (json!({"s": {"x": 5}}), ["`s.x`", "text", "expression"]),
        (json!({"s": {"__filter__": "len(x) > 1"}}), ["`s.__filter__`", "`len`", "`not in`"]),
        (json!({"s": {"__filter__": "a == b"}}), ["`s.__filter__`", "two properties", "constants"]),
        (json!({"s": {"__filter__": "1 < a < 3"}}), ["`s.__filter__`", "`<`", "and"]),
        (
            json!({"s": {"__filter__": "(a == 1"}}),
            ["`s.__filter__`", "`)` is missing", "parentheses"],
        ),
        (json!({"s": {"__filter__": "a == 'x"}}), ["`s.__filter__`", "does not end", "startswith"]),
        (json!({"s": {"__sauce__": "t"}}), ["`s.__sauce__`", "not known", "__source__"]),
        (json!({"s": {"__else__": "x"}}), ["`s.__else__`", "only", "__NULL__"]),
        (json!({"s": "t"}), ["`s`", "__NULL__", "object"]),
    ] {
        let error = serde_json::from_value::<StreamMaps>(settings.clone()).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{settings}: {error}");
        }
    }
}

proptest! {
    #[test]
    fn no_expression_makes_the_parser_fall_over(text in "\\PC{0,60}") {
        _ = serde_json::from_value::<StreamMaps>(json!({"s": {"x": text, "__filter__": text}}));
    }

    #[test]
    fn nothing_of_a_nested_record_is_lost_when_it_is_flattened(depth in 0_usize..4) {
        let mapped = only(&flat(depth));
        let flat = mapped.record(&record()).unwrap();
        let mut text = flat.to_string();
        text.retain(|c| c != '\\');
        for value in ["Bern", "46.9", "\"a\",\"b\"", "ann@example.com"] {
            prop_assert!(text.contains(value));
        }
    }
}

#[test]
fn what_is_made_of_a_personal_property_is_personal() {
    let mut schema = schema();
    schema["properties"]["name"]["x-personal"] = json!(true);
    schema["properties"]["address"]["x-personal"] = json!(true);
    let personal = |mapper: Mapper| -> Vec<String> {
        let mapped = mapper.map("customers", &schema, &["id".into()]).unwrap();
        let properties = mapped[0].schema["properties"].as_object().unwrap().iter();
        let marked = properties.filter(|(_, schema)| schema["x-personal"] == json!(true));
        marked.map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(personal(flat(9)), ["name", "address__city", "address__geo__lat"]);
    assert_eq!(personal(flat(1)), ["name", "address__city", "address__geo"], "as text");
    let copies = r#"{"customers": {"who": "name", "lat": "address.geo.lat", "mail": "email"}}"#;
    let copies = maps(serde_json::from_str(copies).unwrap());
    assert_eq!(personal(copies), ["name", "address", "who", "lat"]);
}

#[test]
fn a_text_of_what_has_something_personal_in_it_is_personal() {
    let mut schema = schema();
    schema["properties"]["address"]["properties"]["geo"]["x-personal"] = json!(true);
    let mapped = flat(0).map("customers", &schema, &["id".into()]).unwrap();
    assert_eq!(mapped[0].schema["properties"]["address"]["x-personal"], json!(true));
    assert_eq!(mapped[0].schema["properties"]["tags"].get("x-personal"), None);
}

#[test]
fn each_property_is_followed_to_where_it_comes_from() {
    let origins = |mapper: &Mapper| -> Vec<String> {
        let mapped = only(mapper);
        let origins = mapped.origins().into_iter();
        let words = origins.map(|(name, path)| match path {
            Some(path) => format!("{name} < {}", path.join(".")),
            None => name.to_owned(),
        });
        words.collect()
    };
    let own = ["id", "name", "email", "address", "tags"].map(|name| format!("{name} < {name}"));
    assert_eq!(origins(&Mapper::default()), own);
    let map = json!({"customers": {
        "who": "name", "city": "address.city", "shop": "'berlin'", "email": null, "__else__": null,
    }});
    assert_eq!(origins(&maps(map)), ["id < id", "who < name", "city < address.city", "shop"]);
    let flat = origins(&flat(9));
    assert!(flat.contains(&"address__geo__lat < address.geo.lat".to_owned()), "{flat:?}");
}
