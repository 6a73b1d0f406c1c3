/* Stands for Open MPI's progress engine, which libcox-pmi.so finds in the library of this name. */
void (*on_progress)(void);
void opal_progress(void);

void opal_progress(void) {
  if (on_progress != 0) on_progress();
}
