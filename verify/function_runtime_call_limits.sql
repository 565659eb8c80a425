-- Verify hartonomous:function_runtime_call_limits on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_runtime.call_limits()', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_runtime.call_limits()', 'EXECUTE');
    ASSERT (
        SELECT
            least(l.kv_cache_mb, l.search_mb) >= 0
            AND least(l.batch_mb, l.max_tokens, l.seconds, l.text_mb, l.piece_mb, l.elements, l.activation_mb) > 0
        FROM llm_runtime.call_limits() AS l
    ), 'a limit leaves nothing that could be asked for';
END
$verify$;

ROLLBACK;
