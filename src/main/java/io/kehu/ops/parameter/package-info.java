/**
 * What people change while the system runs: named values with bounds and a history. Owns the table ops.parameter, the
 * operations of the tag ops.parameter and the events parameter.*; publishes the view ops.parameter_value. Settings of a node
 * (ports, pools) are not here: they stand in conf/kehu.yaml.
 */
package io.kehu.ops.parameter;
