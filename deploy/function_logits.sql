-- Deploy hartonomous:function_logits to pg
-- requires: schema_llm, role_llm_owner, function_store_logits_rows, function_store_raise_late, function_runtime_check_elements

-- The size of the array is checked before PL/Python makes a list of it: see function_runtime_check_elements.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.logits(tokens integer[], model text DEFAULT NULL)
RETURNS TABLE ("position" integer, logits bytea) -- noqa: RF06
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
ROWS 100
BEGIN ATOMIC
    SELECT
        (r.computed)."position" AS "position", -- noqa: RF06
        (r.computed).logits AS logits
    FROM (
        SELECT llm_store.logits_rows(tokens, model) AS computed
        WHERE llm_runtime.check_elements(cardinality(tokens), 'tokens')
    ) AS r
    WHERE (r.computed).failure IS NULL OR llm_store.raise_late((r.computed).failure);
END;

ALTER FUNCTION llm.logits(integer[], text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.logits(integer[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.logits(integer[], text) TO llm_user;
COMMENT ON FUNCTION llm.logits(integer[], text) IS
E'The logits after each of the tokens: one row per position, from 0, with little-endian float32, one number per row '
'of the vocabulary.\n'
'llm.floats shows them.\n'
'tokens: used as they are, without a beginning-of-sequence token before them. NULL or an empty array gives no rows; '
'more tokens than the context holds are an error.\n'
'model: a name from llm.models; NULL is the default model.';

COMMIT;
