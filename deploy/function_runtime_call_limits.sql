-- Deploy hartonomous:function_runtime_call_limits to pg
-- requires: schema_llm_runtime

-- Literals in a superuser's function, not settings: what any user may change would be no limit.
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
E'What a user''s settings, texts and arrays may grow to; what is above is an error (53400). NULL is no limit, '
'written NULL::integer. A superuser may replace the function. Arrays of up to 65,536 elements, and texts and '
'activations of up to 65,536 bytes, are never refused.\n'
'kv_cache_mb: the most for the setting llm.kv_cache_mb, and for the KV caches of llm.new_kv_cache of a session all '
'together.\n'
'batch_mb: the most for the setting llm.batch_mb, and for the keys and values of a single text.\n'
'search_mb: the most for the setting llm.search_mb.\n'
'max_tokens: the most for the argument max_tokens, and its default where it is below 128.\n'
'seconds: how long a call may compute, without the time in which it waits for other sessions.\n'
'text_mb: the size of a text, or of all texts of an array.\n'
'piece_mb: the size of what is tokenized at once of a text without a place to cut it, such as a space.\n'
'elements: how many elements an array has, also the one that llm.floats gives.\n'
'activation_mb: the size of an activation or a vector, as an argument or a result.';

COMMIT;
