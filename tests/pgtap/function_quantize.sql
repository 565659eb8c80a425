BEGIN;
SELECT plan(6);

\ir own_model.psql

SELECT is(llm.quantize('tiny', 'small', 'BF16'), 0::double precision, 'ones are exact in any type');
SELECT is(pg_temp.content('small', 'blk.0.attn_q.weight'), '\x803f803f803f803f'::bytea, 'a one of BF16 is 3F80');
SELECT results_eq(
    $$SELECT type, count(*) FROM llm.tensors WHERE model = 'small' GROUP BY type ORDER BY type$$,
    $$VALUES ('BF16', 8::bigint), ('F32', 3::bigint)$$, 'vectors stay');
SELECT llm.quantize('tiny', 'halves', 'Q8_0') AS error \gset
SELECT is(
    (SELECT DISTINCT type FROM llm.tensors WHERE model = 'halves' AND cardinality(shape) = 2), 'F16',
    'rows that no block fills become F16');
SELECT throws_ok(
    $$SELECT llm.quantize('tiny', 'other', 'Q3_K')$$,
    '22023', 'llm: argument type does not fit', 'a type must be one that can be written');
SET LOCAL ROLE llm_user;
SELECT throws_ok($$SELECT llm.quantize('tiny', 'mine')$$, '42501', NULL, 'a user may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
