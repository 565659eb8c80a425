-- Deploy hartonomous:function_generate_many to pg
-- requires: schema_llm, role_llm_owner, function_store_generate_many_rows, function_store_raise_late, function_runtime_check_elements

-- The size of the array is checked before PL/Python makes a list of it: see function_runtime_check_elements.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.generate_many(
    prompts text[],
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
RETURNS TABLE (ordinal integer, response text, finish_reason text, tokens integer, error text)
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
ROWS 100
BEGIN ATOMIC
    SELECT
        (r.computed).ordinal AS ordinal,
        (r.computed).response AS response,
        (r.computed).finish_reason AS finish_reason,
        (r.computed).tokens AS tokens,
        (r.computed).error AS error
    FROM (
        SELECT llm_store.generate_many_rows(
            prompts, model, max_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop, options
        ) AS computed
        WHERE llm_runtime.check_texts(prompts, 'prompts') AND llm_runtime.check_texts(stop, 'stop')
    ) AS r
    WHERE (r.computed).failure IS NULL OR llm_store.raise_late((r.computed).failure);
END;

ALTER FUNCTION llm.generate_many OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.generate_many FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.generate_many TO llm_user;
COMMENT ON FUNCTION llm.generate_many IS
E'Generates text from many prompts, in batches. Returns one row per prompt as soon as it is finished: ordinal (of the '
'prompt, from 1), response, finish_reason, tokens (how many were generated), error.\n'
'Rows share each pass over the weights and common beginnings of their prompts. Each text is, bit for bit, what '
'llm.generate gives for its prompt alone.\n'
'If one prompt fails (it is NULL, longer than the context, or empty and the model has no beginning-of-sequence '
'token), its error column says why; the other rows continue.\n'
'Other arguments are those of llm.generate.\n'
'seed: row n, counted from 0, uses seed + n, as llm.generate would, so equal prompts get different samples; NULL '
'uses a new seed for the call.\n'
'Up to 32 rows are computed at once, fewer if their KV caches need more than llm.batch_mb (megabytes, 512 unless '
'set), and one at a time with the numpy engine.\n'
'options: guess and draft have no effect here: rows share passes instead.\n'
'NULL as prompts gives no rows.';

COMMIT;
