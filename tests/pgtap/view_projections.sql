BEGIN;
SELECT plan(2);

\ir tiny_model.psql

SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
-- The four tokens at (3, 0), (-1, 0), (-1, 1) and (-1, -1): squares of 12 along the first direction and 2 along the other.
SELECT llm.set_tensor('tiny', 'token_embd.weight', llm.bytes(ARRAY[3, 0, -1, 0, -1, 1, -1, -1])) AS error \gset
SELECT llm_atoms.project('tiny') AS explained \gset
SELECT is((SELECT count(*) FROM llm_atoms.projections WHERE model = 'tiny'), 1::bigint, 'a model with a map has a row');
SELECT llm.set_row('tiny', 'token_embd.weight', 0, llm.bytes(ARRAY[1, 1])) AS error \gset
SELECT is(
    (SELECT count(*) FROM llm_atoms.projections WHERE model = 'tiny'), 0::bigint,
    'an edited embedding has none until it is made');

SELECT * FROM finish();
ROLLBACK;
