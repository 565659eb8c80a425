-- Deploy hartonomous:schema_llm_atoms to pg
-- requires: role_llm_owner, role_llm_user

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE SCHEMA llm_atoms AUTHORIZATION llm_owner;
COMMENT ON SCHEMA llm_atoms IS
'The parts of models as points: atoms, their Hilbert keys, and maps of tokens.';
GRANT USAGE ON SCHEMA llm_atoms TO llm_user;

COMMIT;
