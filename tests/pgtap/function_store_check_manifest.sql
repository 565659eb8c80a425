BEGIN;
SELECT plan(10);

\ir tiny_model.psql

SELECT is(
    llm_store.check_manifest(pg_temp.tiny_manifest()) -> 'tokenizer_settings' ->> 'vocabulary_size', '4',
    'settings gain the size of the vocabulary');
SELECT is(
    llm_store.check_manifest(pg_temp.tiny_manifest()) -> 'architecture' -> 'qk_norm', 'false'::jsonb,
    'the architecture is complete');
SELECT throws_ok(
    $$SELECT llm_store.check_manifest('[]')$$, '22023', 'llm: the manifest is [], expected an object',
    'it is an object');
SELECT throws_ok(
    $$SELECT llm_store.check_manifest(pg_temp.tiny_manifest() - 'files')$$,
    '22023', 'llm: the manifest has no "files"', 'every key is needed');
SELECT throws_ok(
    $$SELECT llm_store.check_manifest(pg_temp.tiny_manifest() || '{"extra": 1}')$$,
    '22023', 'llm: the manifest has an unknown key "extra"', 'and no other is known');
SELECT throws_ok(
    $$SELECT llm_store.check_manifest(pg_temp.tiny_manifest() #- '{tensors,2}')$$,
    '22023', 'llm: tensor "blk.0.attn_q.weight" is missing', 'a missing tensor is named');
SELECT throws_ok(
    $$SELECT llm_store.check_manifest(jsonb_set(pg_temp.tiny_manifest(), '{tensors,2,shape}', '[1, 4]'))$$,
    '22023', 'llm: tensor "blk.0.attn_q.weight" has the wrong shape', 'so is one of the wrong shape');
SELECT throws_ok(
    $$SELECT llm_store.check_manifest(jsonb_set(pg_temp.tiny_manifest(), '{tensors,2,type}', '"F33"'))$$,
    '0A000', 'llm: tensor "blk.0.attn_q.weight": tensor type "F33" is not supported', 'and one of an unknown type');
SELECT throws_ok(
    $$SELECT llm_store.check_manifest(jsonb_set(pg_temp.tiny_manifest(), '{files,0,path}', '"../etc/passwd"'))$$,
    '22023', 'llm: file 0: the path "../etc/passwd" is not allowed', 'no path leaves its folder');
SELECT throws_ok(
    $$SELECT llm_store.check_manifest(jsonb_set(pg_temp.tiny_manifest(), '{tokenizer_settings,vocabulary_size}',
    '3'))$$,
    '22023', 'llm: the tokenizer does not fit the model''s vocabulary', 'the vocabulary has one size');

SELECT * FROM finish();
ROLLBACK;
