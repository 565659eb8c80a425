-- Verify hartonomous:function_chat_details on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.chat_details'::regproc::oid;
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
    ASSERT (SELECT c IS NULL FROM llm.chat_details(NULL) AS c);
END
$verify$;

ROLLBACK;
