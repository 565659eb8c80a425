BEGIN;
SELECT plan(5);

\ir tiny_model.psql

SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) \gset
SELECT is_empty($$SELECT * FROM llm.verify('tiny')$$, 'a model that was just published is well');
SELECT throws_ok(
    $$SELECT * FROM llm.verify('none')$$, '42704', 'model "none" does not exist',
    'a model that is not there is an error');

SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE llm_store.tile ALTER COLUMN hash DROP EXPRESSION;
UPDATE llm_store.tile SET content = set_bit(content, 3, 1 - get_bit(content, 3)) WHERE hash = sha256(pg_temp.ones(8));
SELECT results_eq(
    $$SELECT tensor, problem FROM llm.verify('tiny')$$, $$VALUES ('token_embd.weight', 'tile 0 has changed')$$,
    'a flipped bit is found, with the name of the tensor');
UPDATE llm_store.tile SET content = 'hear' WHERE hash = sha256('head');
SELECT set_has(
    $$SELECT tensor, problem FROM llm.verify('tiny')$$,
    $$VALUES (NULL::text, 'segment 0 of file "tiny.gguf" has changed')$$, 'so is a changed header');
UPDATE llm_store.model SET architecture = jsonb_set(architecture, '{rope_theta}', '1') WHERE name = 'tiny';
SELECT set_has(
    $$SELECT tensor, problem FROM llm.verify('tiny')$$,
    $$VALUES (NULL::text, 'the architecture, the tokenizer or the tensors are not those of the model''s hash')$$,
    'and another architecture');

SELECT * FROM finish();
ROLLBACK;
