-- Deploy hartonomous:function_generate_query to pg
-- requires: schema_llm, role_llm_owner, function_store_generate_query_rows, function_store_raise_late, function_runtime_check_elements

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.generate_query(
    query text,
    model text DEFAULT NULL,
    max_tokens integer DEFAULT NULL,
    temperature double precision DEFAULT 0,
    top_k integer DEFAULT NULL,
    top_p double precision DEFAULT NULL,
    min_p double precision DEFAULT NULL,
    repeat_penalty double precision DEFAULT NULL,
    seed bigint DEFAULT NULL,
    stop text[] DEFAULT NULL,
    options jsonb DEFAULT NULL
)
RETURNS TABLE (id text, response text, finish_reason text, tokens integer, error text)
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
ROWS 1000
BEGIN ATOMIC
    SELECT
        (r.computed).id AS id,
        (r.computed).response AS response,
        (r.computed).finish_reason AS finish_reason,
        (r.computed).tokens AS tokens,
        (r.computed).error AS error
    FROM (
        SELECT llm_store.generate_query_rows(
            query, model, max_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop, options
        ) AS computed
        WHERE llm_runtime.check_texts(stop, 'stop')
    ) AS r
    WHERE (r.computed).failure IS NULL OR llm_store.raise_late((r.computed).failure);
END;

ALTER FUNCTION llm.generate_query OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.generate_query FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.generate_query TO llm_user;
COMMENT ON FUNCTION llm.generate_query IS
E'Generates text for each row of a query that returns an id, of any type, and a prompt. Returns rows like '
'llm.generate_many, each as soon as it is finished.\n'
'query: runs with the caller''s rights and through a cursor, so it may return more rows than fit in memory.\n'
'SELECT (r).* FROM (SELECT llm.generate_query($$SELECT id, body FROM post$$) AS r) AS q returns rows as they come; '
'in FROM, PostgreSQL collects them first.\n'
'Other arguments are those of llm.generate_many.\n'
'NULL as the query gives no rows.';

COMMIT;
