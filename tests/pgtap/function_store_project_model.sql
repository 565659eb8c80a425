BEGIN;
SELECT plan(3);

\ir tiny_model.psql

SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
-- The four tokens at (3, 0), (-1, 0), (-1, 1) and (-1, -1): squares of 12 along the first direction and 2 along the other.
SELECT llm.set_tensor('tiny', 'token_embd.weight', llm.bytes(ARRAY[3, 0, -1, 0, -1, 1, -1, -1])) AS error \gset
SELECT lives_ok($$SELECT llm_store.project_model(m.id) FROM llm_store.model AS m WHERE m.name = 'tiny'$$, 'once');
SELECT lives_ok($$SELECT llm_store.project_model(m.id) FROM llm_store.model AS m WHERE m.name = 'tiny'$$, 'and again');
SELECT is((SELECT count(*) FROM llm_atoms.token_positions WHERE model = 'tiny'), 4::bigint, 'is one map');

SELECT * FROM finish();
ROLLBACK;
