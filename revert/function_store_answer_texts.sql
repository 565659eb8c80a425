-- Revert hartonomous:function_store_answer_texts from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.answer_texts(text, text[], text);

COMMIT;
