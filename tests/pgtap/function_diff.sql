BEGIN;
SELECT plan(5);

\ir tiny_model.psql

CREATE ROLE ann IN ROLE llm_loader;
CREATE ROLE bob IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT llm.fork('tiny', 'other') AS id \gset
SELECT is_empty($$SELECT FROM llm.diff('tiny', 'other') WHERE change <> 'none'$$, 'a fork is equal');
SELECT llm.set_tensor('other', 'output_norm.weight', llm.bytes(ARRAY[4, 5])) AS error \gset
SET LOCAL ROLE llm_user;
SELECT results_eq(
    $$SELECT * FROM llm.diff('tiny', 'other') WHERE change <> 'none'$$,
    $$VALUES ('output_norm.weight', 'values', 1, 1, 5::double precision)$$, 'from 1 1 to 4 5 it is 5, as a user sees');
SELECT is((SELECT count(*) FROM llm.diff('tiny', 'other')), 11::bigint, 'every tensor has a row');
SELECT throws_ok($$SELECT llm.diff('tiny', 'none')$$, '42704', NULL, 'there must be two models');
RESET ROLE;
CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok($$SELECT llm.diff('tiny', 'other')$$, '42501', NULL, 'a role without rights may not ask');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
