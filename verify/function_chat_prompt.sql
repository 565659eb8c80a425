-- Verify hartonomous:function_chat_prompt on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.chat_prompt'::regproc::oid;
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
    ASSERT llm.chat_prompt(NULL) IS NULL;
END
$verify$;

ROLLBACK;
