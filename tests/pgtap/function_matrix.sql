BEGIN;
SELECT plan(6);

\ir tiny_model.psql

SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT set_config('llm.engine', 'numpy', TRUE) AS engine \gset
SELECT is(llm.matrix('blk.0.ffn_gate.weight', 'tiny'), pg_temp.ones(6), 'a matrix is its numbers');
SELECT is(llm.matrix('output_norm.weight', 'tiny'), pg_temp.ones(2), 'and so is a vector');
SELECT throws_ok($$SELECT llm.matrix('nothing', 'tiny')$$, '42704', NULL, 'a tensor that is not there is an error');
SELECT throws_ok(
    $$SELECT llm.matrix('m', 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');
SELECT function_privs_are('llm', 'matrix', ARRAY['text', 'text'], 'llm_user', ARRAY['EXECUTE']);
CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok($$SELECT llm.matrix('m', 'no such model')$$, '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
