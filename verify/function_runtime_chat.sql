-- Verify hartonomous:function_runtime_chat on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm_runtime.chat'::regproc::oid;
    g CONSTANT regprocedure := 'llm_runtime.chat_prompt'::regproc::oid;
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
    ASSERT pg_catalog.has_function_privilege('llm_user', g, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', g, 'EXECUTE');
    ASSERT (SELECT c IS NULL FROM llm_runtime.chat(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) AS c);
    ASSERT llm_runtime.chat_prompt(NULL, NULL, NULL, NULL) IS NULL;
END
$verify$;

ROLLBACK;
