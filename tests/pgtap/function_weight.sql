BEGIN;
SELECT plan(6);

\ir tiny_model.psql

SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT set_config('llm.engine', 'numpy', TRUE) AS engine \gset
SELECT is(llm.weight('blk.0.ffn_gate.weight', 2, 1, 'tiny'), 1::real, 'a weight is its number');
SELECT throws_ok(
    $$SELECT llm.weight('blk.0.ffn_gate.weight', 3, 1, 'tiny')$$,
    '22023', 'llm: row_idx is out of range', 'of three rows');
SELECT throws_ok($$SELECT llm.weight('nothing', 0, 0, 'tiny')$$, '42704', NULL, 'of a tensor that is there');
SELECT throws_ok(
    $$SELECT llm.weight('m', 0, 0, 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');
SELECT function_privs_are('llm', 'weight', ARRAY['text', 'integer', 'integer', 'text'], 'llm_user', ARRAY['EXECUTE']);
CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok($$SELECT llm.weight('m', 0, 0, 'no such model')$$, '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
