BEGIN;
SELECT plan(3);

\ir tiny_model.psql

SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
-- The four tokens at (3, 0), (-1, 0), (-1, 1) and (-1, -1): squares of 12 along the first direction and 2 along the other.
SELECT llm.set_tensor('tiny', 'token_embd.weight', llm.bytes(ARRAY[3, 0, -1, 0, -1, 1, -1, -1])) AS error \gset
SELECT results_eq(
    $$SELECT token_id, token_text, llm.floats(embedding), embedding_h_coords FROM llm.token_embeddings
    WHERE model = 'tiny' ORDER BY token_id$$,
    $$VALUES (0, 'a', '{3,0}'::real[], NULL::bigint[]), (1, 'b', '{-1,0}', NULL), (2, 'ab', '{-1,1}', NULL),
    (3, '', '{-1,-1}', NULL)$$,
    'every token has its numbers');
SELECT llm_atoms.project('tiny') AS explained \gset
SELECT is(
    (SELECT embedding_h_coords FROM llm.token_embeddings WHERE model = 'tiny' AND token_id = 2),
    (SELECT ARRAY[h_xy, h_yz, h_zm] FROM llm_atoms.token_positions WHERE model = 'tiny' AND token_id = 2),
    'and a place on the map once there is one');
SELECT ok(
    (SELECT embedding_atom_id IS NULL FROM llm.token_embeddings WHERE model = 'tiny' AND token_id = 0),
    'F32 numbers are no atoms');

SELECT * FROM finish();
ROLLBACK;
