atelier_test(memory_planner_test ${CMAKE_CURRENT_LIST_DIR}/memory_planner_test.cpp)
