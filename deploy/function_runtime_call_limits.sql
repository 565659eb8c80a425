-- Deploy hartonomous:function_runtime_call_limits to pg
-- requires: schema_llm_runtime

-- Literals in a superuser's function, not settings: a setting that users may change would be no limit.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.call_limits(
    OUT kv_cache_mb integer,
    OUT batch_mb integer,
    OUT search_mb integer,
    OUT max_tokens integer,
    OUT seconds integer,
    OUT text_mb integer,
    OUT piece_mb integer,
    OUT elements integer,
    OUT activation_mb integer
)
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
BEGIN ATOMIC
    SELECT
        4096 AS kv_cache_mb,
        4096 AS batch_mb,
        4096 AS search_mb,
        32768 AS max_tokens,
        3600 AS seconds,
        64 AS text_mb,
        4 AS piece_mb,
        1000000 AS elements,
        256 AS activation_mb;
END;

REVOKE ALL ON FUNCTION llm_runtime.call_limits() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.call_limits() TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.call_limits() IS
E'Limits for users'' settings, texts and arrays; a call above a limit is an error (53400). NULL, written '
'NULL::integer, is no limit. A superuser may replace the function. Arrays of up to 65,536 elements, and texts and '
'activations of up to 65,536 bytes, are always allowed.\n'
'kv_cache_mb: for the setting llm.kv_cache_mb, and for all KV caches of llm.new_kv_cache in a session together.\n'
'batch_mb: for the setting llm.batch_mb, and for the KV cache of a single text.\n'
'search_mb: for the setting llm.search_mb.\n'
'max_tokens: for the argument max_tokens; also its default, if below 128.\n'
'seconds: how long a call may compute, without the time in which it waits for other sessions.\n'
'text_mb: for a text, or all texts of an array together.\n'
'piece_mb: for a piece of text that must be tokenized as a whole, because it has no place to split, such as a space.\n'
'elements: for the elements of an array, also of the result of llm.floats.\n'
'activation_mb: for an activation or a vector, as an argument or a result.';

COMMIT;
