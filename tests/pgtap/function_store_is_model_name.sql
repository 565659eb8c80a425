BEGIN;
SELECT plan(9);

SELECT ok(llm_store.is_model_name('a'), 'one letter is a name');
SELECT ok(llm_store.is_model_name('org/Model-2.5:Q8_0@v1+x'), 'so are the names of hubs');
SELECT ok(llm_store.is_model_name(repeat('7', 100)), 'and 100 digits');
SELECT ok(NOT llm_store.is_model_name(repeat('7', 101)), 'but not 101');
SELECT ok(NOT llm_store.is_model_name(''), 'nor nothing');
SELECT ok(NOT llm_store.is_model_name('.hidden'), 'nor what begins with a dot');
SELECT ok(NOT llm_store.is_model_name(E'a\n'), 'nor a second line');
SELECT ok(NOT llm_store.is_model_name('modèle'), 'nor letters beyond ASCII');
SELECT is(llm_store.is_model_name(NULL), NULL, 'NULL is unknown');

SELECT * FROM finish();
ROLLBACK;
