foreach(subject program memory_planner stream_schedule)
  atelier_test(${subject}_test ${CMAKE_CURRENT_LIST_DIR}/${subject}_test.cpp)
endforeach()
