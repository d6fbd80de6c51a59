/** Makes `Name` a type of its own on top of `Value`, so that two kinds of id cannot be mixed up. */
export type Brand<Value, Name extends string> = Value & { readonly [brand]: Name };
declare const brand: unique symbol;
