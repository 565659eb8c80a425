BEGIN;
SELECT plan(6);

\ir tiny_model.psql
\ir no_models.psql

CREATE ROLE ann IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT llm_store.publish('hers', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS hers \gset
SELECT results_eq(
    'SELECT kind, model_id FROM llm_store.default_model', format('VALUES (''decoder'', %s)', :hers),
    'the first model of a kind is its default');
SELECT throws_ok(
    format('INSERT INTO llm_store.default_model (kind, model_id) VALUES (''encoder'', %s)', :hers),
    '23503', NULL, 'a decoder is no default encoder');
SELECT throws_ok(
    $$UPDATE llm_store.default_model SET model_id = NULL$$, '42501', NULL, 'a default is handed on, not taken away');
SELECT llm.drop_model('hers') \gset
SELECT results_eq(
    'SELECT kind, model_id FROM llm_store.default_model', $$VALUES ('decoder', NULL::integer)$$,
    'a default that was dropped is remembered');
SELECT llm_store.publish('new', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS new \gset
SELECT results_eq(
    'SELECT kind, model_id FROM llm_store.default_model', format('VALUES (''decoder'', %s)', :new),
    'where no model of the kind is left, the next is the first again');
SELECT throws_ok($$DELETE FROM llm_store.default_model$$, '42501', NULL, 'nobody makes it forget');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
