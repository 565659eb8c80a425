-- Deploy hartonomous:function_search to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.search(
    query text,
    source regclass,
    k integer DEFAULT 10,
    model text DEFAULT NULL,
    embedding_column name DEFAULT 'embedding'
)
RETURNS TABLE (content jsonb, similarity real, tuple tid)
LANGUAGE plpython3u
STABLE
PARALLEL UNSAFE
COST 10000
ROWS 10
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.search.search(query, source, k, model, embedding_column)
$python$;

CREATE FUNCTION llm.search(
    query bytea,
    source regclass,
    k integer DEFAULT 10,
    embedding_column name DEFAULT 'embedding'
)
RETURNS TABLE (content jsonb, similarity real, tuple tid)
LANGUAGE plpython3u
STABLE
PARALLEL UNSAFE
COST 10000
ROWS 10
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.search.search_vector(query, source, k, embedding_column)
$python$;

REVOKE ALL ON FUNCTION llm.search(text, regclass, integer, text, name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.search(text, regclass, integer, text, name) TO llm_user;
COMMENT ON FUNCTION llm.search(text, regclass, integer, text, name) IS
E'The rows of a table whose embeddings are closest to a text''s embedding, closest first.\n'
'Returns content (the row as JSON, without its embedding), similarity (the cosine, from -1 to 1) and tuple (the '
'row''s ctid, to join with the table in the same statement).\n'
'query: NULL gives no rows.\n'
'model: as in llm.embed; use the model that embedded the rows.\n'
'source: a table or materialised view; the caller needs the right to read it, and its row-level policies apply.\n'
'k: the most rows to return.\n'
'embedding_column: a column of bytea (little-endian float32, as llm.embed_bytes gives), real[] or pgvector''s '
'vector; rows without an embedding, or with one of length 0, are skipped; an embedding of another width is an error.\n'
'The search is exact and sees the statement''s snapshot.\n'
'A session keeps the embeddings of tables that it searched, up to llm.search_mb (megabytes, 1024 unless set), and '
'reads only what has changed since; a larger table is read again each time.';

REVOKE ALL ON FUNCTION llm.search(bytea, regclass, integer, name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.search(bytea, regclass, integer, name) TO llm_user;
COMMENT ON FUNCTION llm.search(bytea, regclass, integer, name) IS
E'The rows of a table whose embeddings are closest to an embedding, closest first.\n'
'Returns content (the row as JSON, without its embedding), similarity (the cosine, from -1 to 1) and tuple (the '
'row''s ctid, to join with the table in the same statement).\n'
'query: little-endian float32, as llm.embed_bytes gives; NULL gives no rows.\n'
'source: a table or materialised view; the caller needs the right to read it, and its row-level policies apply.\n'
'k: the most rows to return.\n'
'embedding_column: a column of bytea (little-endian float32, as llm.embed_bytes gives), real[] or pgvector''s '
'vector; rows without an embedding, or with one of length 0, are skipped; an embedding of another width is an error.\n'
'The search is exact and sees the statement''s snapshot.\n'
'A session keeps the embeddings of tables that it searched, up to llm.search_mb (megabytes, 1024 unless set), and '
'reads only what has changed since; a larger table is read again each time.';

COMMIT;
