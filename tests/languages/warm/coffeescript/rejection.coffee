wait = -> new Promise (resolve, reject) -> setTimeout (-> reject new TypeError 'late'), 1
do ->
  console.log 'before'
  await wait()
