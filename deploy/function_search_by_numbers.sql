-- Deploy hartonomous:function_search_by_numbers to pg
-- requires: schema_llm, function_runtime_boot, function_runtime_check_elements

-- The size of the array is checked before PL/Python makes a list of it: see function_runtime_check_elements.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.search(
    query double precision[],
    source regclass,
    k integer,
    embedding_column name
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

CREATE FUNCTION llm.search(
    query double precision[],
    source regclass,
    k integer DEFAULT 10,
    embedding_column name DEFAULT 'embedding'
)
RETURNS TABLE (content jsonb, similarity real, tuple tid)
LANGUAGE sql
STABLE
PARALLEL UNSAFE
COST 10000
ROWS 10
-- noqa: disable=RF03
BEGIN ATOMIC
    SELECT
        s.content,
        s.similarity,
        s.tuple
    FROM llm_runtime.search(query, source, k, embedding_column) AS s
    WHERE llm_runtime.check_elements(cardinality(query), 'query');
END;

REVOKE ALL ON FUNCTION llm_runtime.search(double precision[], regclass, integer, name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.search(double precision[], regclass, integer, name) TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.search(double precision[], regclass, integer, name) IS
'Called by llm.search of double precision[] after it has checked the size of the array.';

ALTER FUNCTION llm.search(double precision[], regclass, integer, name) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.search(double precision[], regclass, integer, name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.search(double precision[], regclass, integer, name) TO llm_user;
COMMENT ON FUNCTION llm.search(double precision[], regclass, integer, name) IS
E'The rows of a table whose embeddings are closest to an embedding, as in llm.search of bytea.\n'
'query: numbers, as llm.embed returns them; NULL gives no rows.\n'
'source, k, embedding_column: as in llm.search of bytea.';

COMMIT;
