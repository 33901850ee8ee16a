atelier_test(files_test ${CMAKE_CURRENT_LIST_DIR}/files_test.cpp)
target_compile_definitions(files_test PRIVATE ATELIER_GOLDENS="${CMAKE_SOURCE_DIR}/test/goldens")
