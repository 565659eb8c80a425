BEGIN;
SELECT plan(5);

\ir tiny_model.psql

SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
-- The four tokens at (3, 0), (-1, 0), (-1, 1) and (-1, -1): squares of 12 along the first direction and 2 along the other.
SELECT llm.set_tensor('tiny', 'token_embd.weight', llm.bytes(ARRAY[3, 0, -1, 0, -1, 1, -1, -1])) AS error \gset
SELECT is(
    (SELECT array_agg(round(e::numeric, 9)) FROM unnest(llm_atoms.project('tiny')) AS e),
    ARRAY[round(6 / 7.0, 9), round(1 / 7.0, 9), 0, 0], 'twelve fourteenths, two fourteenths, and no more directions');
SELECT is(
    llm_atoms.project('tiny'), (SELECT explained FROM llm_atoms.projections WHERE model = 'tiny'), 'it is made once');
SELECT throws_ok($$SELECT llm_atoms.project('no such model')$$, '42704', NULL, 'a model that is not there is an error');
SELECT throws_ok($$SELECT llm_atoms.project(NULL)$$, '42704', 'no model is named', 'and so is none');
SET LOCAL ROLE llm_user;
SELECT throws_ok($$SELECT llm_atoms.project('tiny')$$, '42501', NULL, 'a user may not write a map');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
