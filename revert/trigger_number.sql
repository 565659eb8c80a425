-- Revert hartonomous:trigger_number from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TRIGGER known_before_insert ON llm_store.number;
DROP FUNCTION llm_store.skip_known_number();

COMMIT;
