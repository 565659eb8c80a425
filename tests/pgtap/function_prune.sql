BEGIN;
SELECT plan(6);

\ir own_model.psql

SELECT llm.set_row('tiny', 'blk.0.ffn_up.weight', 1, llm.bytes(ARRAY[-0.25, 0.5])) AS error \gset
SELECT is(llm.prune('tiny', 0.5), 1::bigint, 'of -0.25 and 0.5 one is smaller than 0.5');
SELECT is(
    pg_temp.content('tiny', 'blk.0.ffn_up.weight'),
    pg_temp.ones(2) || '\x000000000000003f'::bytea || pg_temp.ones(2), 'it is 0 now');
SELECT is(llm.prune('tiny', 2, 'token%'), 8::bigint, 'the embedding only by its name');
SELECT throws_ok(
    $$SELECT llm.prune('tiny', 2, 'output_norm%')$$, '42704', NULL, 'vectors are no matrices');
SET LOCAL ROLE bob;
SELECT throws_ok(
    $$SELECT llm.prune('tiny', 2)$$,
    '42501', 'llm: must be owner of model "tiny"', 'bob may not edit the model of ann');
SET LOCAL ROLE llm_user;
SELECT throws_ok($$SELECT llm.prune('tiny', 2)$$, '42501', NULL, 'a user may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
