/*
 * The data structures of a Linux of some years ago, as far as they are looked at from outside: two processes, one with two threads, and a thread of the kernel; a log
 * that goes on at its beginning; modules, and a memory map that is a list.
 */
typedef unsigned long size_t;
typedef unsigned long long u64;

struct list_head {
  struct list_head *next, *prev;
};
typedef struct {
  int counter;
} atomic_t;

struct qstr {
  unsigned hash, len;
  const unsigned char *name;
};
struct file_system_type {
  const char *name;
};
struct super_block {
  struct file_system_type *s_type;
  unsigned long s_flags;
};
struct inode {
  unsigned long i_ino;
};
struct dentry {
  struct dentry *d_parent;
  struct qstr d_name;
  struct inode *d_inode;
  struct super_block *d_sb;
};
struct vfsmount {
  struct dentry *mnt_root;
  struct super_block *mnt_sb;
  int mnt_flags;
};
struct mount {
  struct mount *mnt_parent;
  struct dentry *mnt_mountpoint;
  struct vfsmount mnt;
  const char *mnt_devname;
  struct list_head mnt_list;
};
struct mnt_namespace {
  struct list_head list;
};
struct nsproxy {
  struct mnt_namespace *mnt_ns;
};
struct path {
  struct vfsmount *mnt;
  struct dentry *dentry;
};
struct file {
  struct path f_path;
  long long f_pos;
};
struct vm_area_struct {
  unsigned long vm_start, vm_end;
  struct vm_area_struct *vm_next;
  unsigned long vm_flags, vm_pgoff;
  struct file *vm_file;
};
struct mm_struct {
  struct vm_area_struct *mmap;
  unsigned long *pgd;
};
struct signal_struct {
  struct list_head thread_head;
};
struct thread_info {
  unsigned long flags;
  int cpu;
};
struct thread_struct {
  unsigned long ra, sp, s[12];
};
struct task_struct {
  struct thread_info thread_info;
  volatile long state;
  void *stack;
  unsigned int flags;
  struct list_head tasks;
  struct mm_struct *mm;
  int exit_state, pid, tgid;
  struct task_struct *real_parent, *group_leader;
  struct list_head thread_node;
  char comm[16];
  struct nsproxy *nsproxy;
  struct signal_struct *signal;
  struct thread_struct thread;
};

const char linux_banner[] = "Linux version 5.4.0-mock\n";
void start_kernel(void) {}
char stack[64];

struct task_struct init_task;
extern struct task_struct shell, shell_thread, kernel_thread;
struct file_system_type ext2 = {"ext2"};
struct super_block root_block = {&ext2, 1};
struct dentry root = {&root, {0, 1, (const unsigned char *)"/"}, 0, &root_block};
struct dentry bin = {&root, {0, 3, (const unsigned char *)"bin"}, 0, &root_block};
struct dentry sh = {&bin, {0, 2, (const unsigned char *)"sh"}, 0, &root_block};
struct mount root_mount;
struct mnt_namespace namespace = {{&root_mount.mnt_list, &root_mount.mnt_list}};
struct mount root_mount = {&root_mount, &root, {&root, &root_block, 0}, "/dev/vda", {&namespace.list, &namespace.list}};
struct nsproxy proxy = {&namespace};
struct file sh_file = {{&root_mount.mnt, &sh}, 0};
struct vm_area_struct heap = {0x20000, 0x30000, 0, 3, 0, 0};
struct vm_area_struct text = {0x10000, 0x12000, &heap, 5, 2, &sh_file};
unsigned long tables[512];
struct mm_struct memory = {&text, tables};
unsigned long va_pa_offset = 0xffffffff00000000;

struct signal_struct shell_signal = {{&shell.thread_node, &shell_thread.thread_node}};
struct signal_struct kernel_signal = {{&kernel_thread.thread_node, &kernel_thread.thread_node}};

struct task_struct init_task = {.tasks = {&shell.tasks, &kernel_thread.tasks}, .comm = "swapper", .stack = stack,
    .real_parent = &init_task, .group_leader = &init_task, .nsproxy = &proxy};
struct task_struct shell = {.tasks = {&kernel_thread.tasks, &init_task.tasks}, .comm = "sh", .pid = 1, .tgid = 1,
    .real_parent = &init_task, .group_leader = &shell, .signal = &shell_signal, .mm = &memory, .stack = stack,
    .thread_node = {&shell_thread.thread_node, &shell_signal.thread_head}, .nsproxy = &proxy};
struct task_struct shell_thread = {.comm = "sh helper", .pid = 7, .tgid = 1, .real_parent = &init_task, .state = 2,
    .group_leader = &shell, .signal = &shell_signal, .mm = &memory, .stack = stack,
    .thread_node = {&shell_signal.thread_head, &shell.thread_node}};
struct task_struct kernel_thread = {.tasks = {&init_task.tasks, &shell.tasks}, .comm = "kworker/0:0", .pid = 2,
    .tgid = 2, .real_parent = &init_task, .group_leader = &kernel_thread, .signal = &kernel_signal, .flags = 0x200000,
    .thread_node = {&kernel_signal.thread_head, &kernel_signal.thread_head}, .state = 0x402, .stack = stack};

struct printk_log {
  u64 ts_nsec;
  unsigned short len, text_len, dict_len;
  unsigned char facility, flags : 5, level : 3;
};
struct record {
  struct printk_log head;
  char text[16];
};
/* The oldest record stands in the middle, a length of 0 sends back to the beginning, and there stands the newest. */
static struct {
  struct record records[4];
  struct printk_log end;
} buffer = {{
    {{3000, sizeof(struct record), 5, 0, 0, 0, 6}, "third"},
    {{0}, ""},
    {{1000000, sizeof(struct record), 5, 0, 0, 0, 4}, "first"},
    {{2000000, sizeof(struct record), 13, 0, 1, 0, 3}, "second\nbeside"},
}};
char *log_buf = (char *)&buffer;
unsigned int log_buf_len = sizeof(buffer);
unsigned int log_first_idx = 2 * sizeof(struct record);
unsigned int log_next_idx = sizeof(struct record);
u64 log_first_seq = 5, log_next_seq = 8;

enum module_state { MODULE_STATE_LIVE, MODULE_STATE_COMING, MODULE_STATE_GOING, MODULE_STATE_UNFORMED };
struct module_layout {
  void *base;
  unsigned int size, text_size;
};
struct attribute {
  const char *name;
};
struct module_attribute {
  struct attribute attr;
};
struct module_sect_attr {
  struct module_attribute mattr;
  char *name;
  unsigned long address;
};
struct module_sect_attrs {
  unsigned int nsections;
  struct module_sect_attr attrs[2];
};
struct module {
  enum module_state state;
  struct list_head list;
  char name[56];
  struct module_layout core_layout, init_layout;
  struct list_head source_list;
  atomic_t refcnt;
  struct module_sect_attrs *sect_attrs;
};
extern struct module module_a, module_b;
struct list_head modules = {&module_a.list, &module_b.list};
struct module_sect_attrs sections = {
    2, {{.name = ".text", .address = 0xffffffff90000010}, {.name = ".init.text", .address = 0xffffffff91000000}}};
struct module module_a = {MODULE_STATE_LIVE, {&module_b.list, &modules}, "a", {(void *)0xffffffff90000000, 4096, 0},
    {0, 0, 0}, {&module_a.source_list, &module_a.source_list}, {3}, &sections};
struct module module_b = {MODULE_STATE_COMING, {&modules, &module_a.list}, "b", {(void *)0xffffffff92000000, 8192, 0},
    {(void *)0xffffffff93000000, 4096, 0}, {&module_b.source_list, &module_b.source_list}, {1}, 0};
