BEGIN;
SELECT plan(3);

\ir tiny_model.psql

SELECT results_eq(
    $$SELECT v.bytes, v.texts, v.kinds FROM llm_store.vocabulary(pg_temp.tiny_tokenizer(),
    '{"vocabulary_size": 4}') AS v$$,
    $$VALUES (ARRAY['a', 'b', 'ab', '']::bytea[], ARRAY['a', 'b', 'ab', ''], ARRAY['normal', 'normal', 'normal',
    'unused'])$$,
    'every id has bytes, a text and a kind');
SELECT throws_ok(
    $$SELECT llm_store.vocabulary('{}', '{}')$$, 'XX001', 'llm: the tokenizer''s definition cannot be read',
    'what is no tokenizer is refused');
SELECT throws_ok(
    $$SELECT llm_store.vocabulary(pg_temp.tiny_tokenizer(), '{"eos_ids": [7]}')$$, '22023', 'llm: there is no token 7',
    'so are settings that do not fit');

SELECT * FROM finish();
ROLLBACK;
