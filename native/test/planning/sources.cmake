foreach(subject program memory_planner)
  atelier_test(${subject}_test ${CMAKE_CURRENT_LIST_DIR}/${subject}_test.cpp)
endforeach()
