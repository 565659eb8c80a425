BEGIN;
SELECT plan(7);

\ir tiny_model.psql

-- A matrix [[1, 2, 3], [4, 5, 6]], and two tokens: (1, 2, 3) gives (14, 32), (1, 0, -1) gives (-2, -2).
SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT set_config('llm.engine', 'numpy', TRUE) AS engine \gset
SELECT llm.set_tensor('tiny', 'blk.0.ffn_down.weight', llm.bytes('{1,2,3,4,5,6}')) AS error \gset
SELECT llm.bytes('{1,2,3,1,0,-1}') AS x \gset

SELECT is(
    llm.floats(llm.linear(:'x', 'blk.0.ffn_down.weight', 'tiny')),
    '{14,32,-2,-2}'::real[], 'each row of x times each row of the weight');
SELECT is(
    llm.floats(llm.linear(:'x', 'blk.0.ffn_down.weight', 'tiny', 'output_norm.weight')),
    '{15,33,-1,-1}'::real[], 'the bias is added to each row');
SELECT is(
    llm.floats(llm.linear(:'x', 'blk.0.ffn_down.weight', 'tiny', NULL, llm.bytes('{0.5,1,2,4}'))),
    '{14.5,33,0,2}'::real[], 'the residual is added number by number');
SELECT ok(llm.linear(NULL, 'output.weight') IS NULL, 'NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.linear(llm.bytes('{1,2}'), 'blk.0.ffn_down.weight', 'tiny')$$,
    '22023', NULL, 'x must have a multiple of the columns');
SELECT throws_ok(
    $$SELECT llm.linear('\x00000000', 'output.weight', 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.linear(NULL::bytea, NULL::text)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
