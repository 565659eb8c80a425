-- Deploy hartonomous:function_matches_query to pg
-- requires: schema_llm, role_llm_owner, function_store_matches_query_rows, function_store_raise_late

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.matches_query(
    query text,
    condition text,
    model text DEFAULT NULL,
    certainty double precision DEFAULT 0.6,
    options jsonb DEFAULT NULL
)
RETURNS TABLE (id text, matches boolean, probability double precision, error text)
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
ROWS 1000
BEGIN ATOMIC
    SELECT
        (r.computed).id AS id,
        (r.computed).matches AS matches,
        (r.computed).probability AS probability,
        (r.computed).error AS error
    FROM (
        SELECT llm_store.matches_query_rows(query, condition, model, certainty, options) AS computed
    ) AS r
    WHERE (r.computed).failure IS NULL OR llm_store.raise_late((r.computed).failure);
END;

ALTER FUNCTION llm.matches_query OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.matches_query FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.matches_query TO llm_user;
COMMENT ON FUNCTION llm.matches_query IS
E'llm.matches for each row of a query, in the order of the rows: id, matches (NULL where undecided), probability (of '
'yes beside no), error.\n'
'query: a SELECT of two columns, an id of any type and a text. It runs with the caller''s rights and through a '
'cursor, so it may return more rows than fit in memory. NULL gives no rows.\n'
'condition: as for llm.matches; NULL gives no rows.\n'
'model: a decoder of llm.models; NULL is the default decoder.\n'
'certainty: as for llm.matches.\n'
'options: a JSON object. on_error: null, the default, gives NULL for a text that cannot be answered, and its error '
'in the column error; raise ends the statement.\n'
'A text that is NULL has the result NULL. Rows share passes and the common beginning of their prompts, and equal '
'texts are computed once. Each result is, bit for bit, what llm.matches gives for its text alone.';

COMMIT;
