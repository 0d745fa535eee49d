/** What is wrong with a file, in a sentence for the person who gave it. */
export class FileError extends Error {}
