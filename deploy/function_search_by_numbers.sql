-- Deploy hartonomous:function_search_by_numbers to pg
-- requires: schema_llm, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.search(
    query real[],
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
return llm.searching.search_vector(query, source, k, embedding_column)
$python$;

REVOKE ALL ON FUNCTION llm.search(real[], regclass, integer, name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.search(real[], regclass, integer, name) TO llm_user;
COMMENT ON FUNCTION llm.search(real[], regclass, integer, name) IS
E'The rows of a table whose embeddings are closest to an embedding, as llm.search of bytea finds them.\n'
'query: numbers, as llm.embed gives; NULL gives no rows.\n'
'source, k, embedding_column: as llm.search of bytea has them.';

COMMIT;
