BEGIN;
SELECT plan(3);

\ir tiny_model.psql

SELECT lives_ok(
    $$SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer())$$, 'a model is loaded');
SELECT results_eq(
    $$SELECT name, type, shape, bytes, tiles FROM llm.tensors
    WHERE model = 'tiny' AND ordinal IN (0, 9) ORDER BY ordinal$$,
    $$VALUES ('token_embd.weight', 'F32', '{4,2}'::bigint[], 32::bigint, 1),
        ('blk.0.ffn_down.weight', 'F32', '{2,3}', 24, 1)$$,
    'its tensors are rows');
SELECT is(
    (SELECT count(DISTINCT hash) FROM llm.tensors WHERE model = 'tiny' AND name ~ 'attn_(q|k|v|output)'), 1::bigint,
    'equal tensors have one hash');

SELECT * FROM finish();
ROLLBACK;
