BEGIN;
SELECT plan(4);

\ir three_tokens.psql
\ir a_model_of_them.psql
SELECT m.id FROM llm_store.model AS m WHERE m.name = 'aqz' \gset

SELECT col_is_pk('llm_store', 'model_code', ARRAY['model_id', 'type'], 'an encoding of a model is there once');
INSERT INTO llm_store.model_code (model_id, type, code_bits) VALUES (:id, 'Q4_0', B'0110000000000000');
SET LOCAL ROLE llm_user;
SELECT is(
    (SELECT c.code_bits::text FROM llm_store.model_code AS c WHERE c.model_id = :id),
    '0110000000000000', 'a user sees what models have');
SET LOCAL ROLE llm_loader;
SELECT throws_ok('DELETE FROM llm_store.model_code', '42501', NULL, 'a loader may not write it');
RESET ROLE;
DELETE FROM llm_store.model WHERE id = :id;
SELECT is_empty(format('SELECT FROM llm_store.model_code WHERE model_id = %s', :id), 'it goes with the model');

SELECT * FROM finish();
ROLLBACK;
