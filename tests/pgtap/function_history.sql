BEGIN;
SELECT plan(4);

\ir tiny_model.psql

CREATE ROLE ann IN ROLE llm_loader;
CREATE ROLE bob IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT results_eq(
    $$SELECT operation, parents, author FROM llm.history('tiny')$$, $$VALUES ('load', NULL::text[], 'ann')$$,
    'a loaded model was loaded');
SELECT llm.scale_tensor('tiny', 'output_norm.weight', 2) AS error \gset
SET LOCAL ROLE llm_user;
SELECT results_eq(
    $$SELECT operation, details ->> 'factor' FROM llm.history('tiny')$$,
    $$VALUES ('load', NULL), ('scale_tensor', '2.0')$$,
    'then scaled');
SELECT is(
    (SELECT hash FROM llm.history('tiny') WHERE operation = 'scale_tensor'),
    (SELECT hash FROM llm.models WHERE name = 'tiny'), 'which gave it its hash');
SELECT throws_ok($$SELECT llm.history('none')$$, '42704', 'model "none" does not exist', 'there must be a model');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
