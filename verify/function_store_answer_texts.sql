-- Verify hartonomous:function_store_answer_texts on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm_store.answer_texts'::regproc::oid;
BEGIN
    ASSERT llm_store.answer_texts('summarize', NULL, NULL) IS NULL;
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
