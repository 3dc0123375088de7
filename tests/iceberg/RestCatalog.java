// A REST catalog to test against: the JDK's HTTP server before Iceberg's own CatalogHandlers, with its own reader.
//
//   java -cp CLASSES:iceberg-spark-runtime.jar:pyspark/jars/* org.apache.iceberg.rest.RestCatalog PORT WAREHOUSE
//
// Tests steer it:
//   POST /_control/fault?status=503     the next commit is done, and answered with this status
//   GET  /_control/rows/NAMESPACE/TABLE the rows as Iceberg reads them, one JSON array of objects
package org.apache.iceberg.rest;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.BaseTable;
import org.apache.iceberg.StaticTableOperations;
import org.apache.iceberg.Table;
import org.apache.iceberg.TableMetadata;
import org.apache.iceberg.catalog.Namespace;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.data.IcebergGenerics;
import org.apache.iceberg.data.Record;
import org.apache.iceberg.exceptions.AlreadyExistsException;
import org.apache.iceberg.exceptions.CommitFailedException;
import org.apache.iceberg.exceptions.NoSuchNamespaceException;
import org.apache.iceberg.exceptions.NoSuchTableException;
import org.apache.iceberg.exceptions.ValidationException;
import org.apache.iceberg.hadoop.HadoopFileIO;
import org.apache.iceberg.inmemory.InMemoryCatalog;
import org.apache.iceberg.io.CloseableIterable;
import org.apache.iceberg.io.FileIO;
import org.apache.iceberg.rest.requests.CreateNamespaceRequest;
import org.apache.iceberg.rest.requests.CreateTableRequest;
import org.apache.iceberg.rest.requests.UpdateTableRequest;
import org.apache.iceberg.rest.responses.ConfigResponse;
import org.apache.iceberg.rest.responses.ErrorResponse;

public class RestCatalog {
  private static final AtomicInteger fault = new AtomicInteger();

  public static void main(String[] args) throws Exception {
    InMemoryCatalog catalog = new InMemoryCatalog();
    catalog.initialize("test", Map.of("warehouse", args[1], "io-impl", "org.apache.iceberg.hadoop.HadoopFileIO"));
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 0);
    server.setExecutor(Executors.newFixedThreadPool(8));
    server.createContext("/", exchange -> {
      try {
        Object answer = route(catalog, exchange);
        int status = isCommit(exchange) ? fault.getAndSet(0) : 0;
        if (status != 0) {
          sendError(exchange, status, "Scripted", "the commit was done all the same");
        } else {
          send(exchange, answer == null ? 204 : 200, answer);
        }
      } catch (Throwable error) {
        sendError(exchange, status(error), error.getClass().getSimpleName(), String.valueOf(error.getMessage()));
      }
    });
    server.start();
  }

  static int status(Throwable error) {
    if (error instanceof NoSuchTableException || error instanceof NoSuchNamespaceException) return 404;
    if (error instanceof AlreadyExistsException || error instanceof CommitFailedException) return 409;
    if (error instanceof ValidationException || error instanceof IllegalArgumentException) return 400;
    return 500;
  }

  static boolean isCommit(HttpExchange exchange) {
    String path = exchange.getRequestURI().getRawPath();
    return exchange.getRequestMethod().equals("POST") && path.startsWith("/v1/") && path.split("/").length == 6;
  }

  static Object route(InMemoryCatalog catalog, HttpExchange exchange) throws IOException {
    String[] path = exchange.getRequestURI().getRawPath().substring(1).split("/");
    for (int i = 0; i < path.length; i++) path[i] = URLDecoder.decode(path[i], StandardCharsets.UTF_8);
    String call = exchange.getRequestMethod() + " " + path[1] + " " + path.length;
    Namespace namespace = path.length > 2 ? Namespace.of(path[2].split("\u001f")) : Namespace.empty();
    switch (call) {
      case "POST fault 2":
        fault.set(Integer.parseInt(exchange.getRequestURI().getQuery().substring("status=".length())));
        return Map.of();
      case "GET rows 4":
        return rows(catalog.loadTable(TableIdentifier.of(namespace, path[3])));
      case "GET config 2":
        return ConfigResponse.builder().build();
      case "POST namespaces 2":
        return CatalogHandlers.createNamespace(catalog, read(exchange, CreateNamespaceRequest.class));
      case "GET namespaces 3":
        return CatalogHandlers.loadNamespace(catalog, namespace);
      case "GET namespaces 4":
        return CatalogHandlers.listTables(catalog, namespace);
      case "POST namespaces 4":
        return CatalogHandlers.createTable(catalog, namespace, read(exchange, CreateTableRequest.class));
      case "GET namespaces 5":
        return CatalogHandlers.loadTable(catalog, TableIdentifier.of(namespace, path[4]));
      case "POST namespaces 5":
        TableIdentifier table = TableIdentifier.of(namespace, path[4]);
        return CatalogHandlers.updateTable(catalog, table, read(exchange, UpdateTableRequest.class));
      default:
        throw new IllegalArgumentException(call);
    }
  }

  /** The catalog keeps its metadata in memory, and what it names is on the disk. */
  static List<Map<String, String>> rows(Table known) throws IOException {
    TableMetadata metadata = ((BaseTable) known).operations().current();
    FileIO disk = new HadoopFileIO(new Configuration());
    Table table = new BaseTable(new StaticTableOperations(metadata, disk), known.name());
    List<Map<String, String>> rows = new ArrayList<>();
    try (CloseableIterable<Record> records = IcebergGenerics.read(table).build()) {
      for (Record record : records) {
        Map<String, String> row = new LinkedHashMap<>();
        record.struct().fields().forEach(field -> row.put(field.name(), String.valueOf(record.getField(field.name()))));
        rows.add(row);
      }
    }
    return rows;
  }

  static <T> T read(HttpExchange exchange, Class<T> kind) throws IOException {
    return RESTObjectMapper.mapper().readValue(exchange.getRequestBody().readAllBytes(), kind);
  }

  static void sendError(HttpExchange exchange, int status, String kind, String message) throws IOException {
    send(exchange, status, ErrorResponse.builder().responseCode(status).withType(kind).withMessage(message).build());
  }

  static void send(HttpExchange exchange, int status, Object answer) throws IOException {
    byte[] bytes = answer == null ? new byte[0] : RESTObjectMapper.mapper().writeValueAsBytes(answer);
    exchange.getResponseHeaders().add("Content-Type", "application/json");
    exchange.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
    if (bytes.length > 0) exchange.getResponseBody().write(bytes);
    exchange.close();
  }
}
