-- Deploy hartonomous:function_classify_query to pg
-- requires: schema_llm, role_llm_owner, function_store_classify_query_rows, function_store_raise_late, function_runtime_check_elements

-- The size of the array is checked before PL/Python makes a list of it: see function_runtime_check_elements.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.classify_query(
    query text,
    labels text[],
    model text DEFAULT NULL,
    options jsonb DEFAULT NULL
)
RETURNS TABLE (id text, label text, probability double precision, error text)
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
ROWS 1000
BEGIN ATOMIC
    SELECT
        (r.computed).id AS id,
        (r.computed).label AS label,
        (r.computed).probability AS probability,
        (r.computed).error AS error
    FROM (
        SELECT llm_store.classify_query_rows(query, labels, model, options) AS computed
        WHERE llm_runtime.check_texts(labels, 'labels')
    ) AS r
    WHERE (r.computed).failure IS NULL OR llm_store.raise_late((r.computed).failure);
END;

ALTER FUNCTION llm.classify_query OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.classify_query FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.classify_query TO llm_user;
COMMENT ON FUNCTION llm.classify_query IS
E'llm.classify for each row of a query, in the order of the rows: id, label, probability, error.\n'
'query: a SELECT of two columns, an id of any type and a text. It runs with the caller''s rights and through a '
'cursor, so it may return more rows than fit in memory. NULL gives no rows.\n'
'labels: 1 to 1000 texts that differ, of any length; NULL gives no rows.\n'
'model: a name from llm.models; NULL is the default decoder, or, if no decoder was ever loaded, the default '
'encoder.\n'
'options: a JSON object. on_error: null, the default, gives NULL for a text that cannot be answered, and its error '
'in the column error; raise ends the statement.\n'
'A text that is NULL has the result NULL. Rows share passes and the common beginning of their prompts, and equal '
'texts are computed once. Each result is, bit for bit, what llm.classify gives for its text alone.';

COMMIT;
