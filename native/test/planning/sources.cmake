atelier_test(program_test ${CMAKE_CURRENT_LIST_DIR}/program_test.cpp)
