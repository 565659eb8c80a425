-- Deploy hartonomous:function_classify_details to pg
-- requires: schema_llm, role_llm_owner, function_store_classify_rows, function_runtime_check_elements

-- The size of the array is checked before PL/Python makes a list of it: see function_runtime_check_elements.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.classify_details(
    text text,
    labels text[],
    model text DEFAULT NULL,
    options jsonb DEFAULT NULL
)
RETURNS TABLE (label text, probability double precision)
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
ROWS 10
-- noqa: disable=RF03
BEGIN ATOMIC
    SELECT
        r.label,
        r.probability
    FROM llm_store.classify_rows(text, labels, model, options) AS r
    WHERE llm_runtime.check_texts(labels, 'labels');
END;

ALTER FUNCTION llm.classify_details OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.classify_details FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.classify_details TO llm_user;
COMMENT ON FUNCTION llm.classify_details IS
E'All labels with their probabilities for a text, the most probable first; they add up to 1. llm.classify gives the '
'first.\n'
'text: NULL gives no rows.\n'
'labels: 1 to 1000 texts that differ, of any length; NULL gives no rows.\n'
'model: a name from llm.models; NULL is the default decoder, or, if no decoder was ever loaded, the default '
'encoder.\n'
'options: those of llm.classify; with on_error null a text that cannot be answered gives no rows.';

COMMIT;
