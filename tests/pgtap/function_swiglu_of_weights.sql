BEGIN;
SELECT plan(3);

SELECT ok(llm.swiglu(NULL, 'blk.0.ffn_gate.weight', 'blk.0.ffn_up.weight') IS NULL, 'NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.swiglu('\x00000000', 'blk.0.ffn_gate.weight', 'blk.0.ffn_up.weight', 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok(
    'SELECT llm.swiglu(NULL::bytea, NULL::text, NULL::text)',
    '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
