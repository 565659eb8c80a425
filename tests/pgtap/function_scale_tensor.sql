BEGIN;
SELECT plan(5);

\ir own_model.psql

SELECT is(
    llm.scale_tensor('tiny', 'output_norm.weight', -0.5), 0::double precision, 'halves of floats are exact');
SELECT is(pg_temp.content('tiny', 'output_norm.weight'), '\x000000bf000000bf'::bytea, 'all numbers are multiplied');
SELECT throws_ok(
    $$SELECT llm.scale_tensor('tiny', 'output_norm.weight', 'infinity')$$,
    '22023', 'llm: factor is out of range', 'a factor is finite');
SET LOCAL ROLE bob;
SELECT throws_ok(
    $$SELECT llm.scale_tensor('tiny', 'output_norm.weight', 2)$$,
    '42501', 'llm: must be owner of model "tiny"', 'bob may not edit the model of ann');
SET LOCAL ROLE llm_user;
SELECT throws_ok($$SELECT llm.scale_tensor('tiny', 'output_norm.weight', 2)$$, '42501', NULL, 'a user may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
